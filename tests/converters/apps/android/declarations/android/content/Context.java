package android.content;
public abstract class Context {
    public abstract android.content.res.AssetManager getAssets();
    public abstract ContentResolver getContentResolver();
    public final String getString(int id) { throw new UnsupportedOperationException(); }
    public final String getString(int id, Object... arguments) { throw new UnsupportedOperationException(); }
}
