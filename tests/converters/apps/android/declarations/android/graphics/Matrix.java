package android.graphics;
public class Matrix {
    public boolean postRotate(float degrees) { return true; }
    public boolean postScale(float x, float y) { return true; }
}
