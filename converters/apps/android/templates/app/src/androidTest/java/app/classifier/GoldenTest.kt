package app.classifier

import androidx.test.ext.junit.runners.AndroidJUnit4
import androidx.test.platform.app.InstrumentationRegistry
import org.junit.Assert.assertTrue
import org.junit.Test
import org.junit.runner.RunWith

/** This device makes the golden inputs of the golden images, and of those the golden outputs. */
@RunWith(AndroidJUnit4::class)
class GoldenTest {
    @Test
    fun everyGoldenTensorIsMet() {
        Classifier(InstrumentationRegistry.getInstrumentation().targetContext).use { classifier ->
            val found = classifier.check()
            assertTrue("there is none", found.isNotEmpty())
            found.forEachIndexed { place, each ->
                assertTrue("golden $place: input off by ${each.inputOff}, output by ${each.outputOff}", each.ok)
            }
        }
    }
}
