package android.content;
public abstract class ContentResolver {
    public final java.io.InputStream openInputStream(android.net.Uri address) throws java.io.FileNotFoundException { throw new UnsupportedOperationException(); }
}
