package android.app;
public class Activity extends android.content.Context {
    public android.content.res.AssetManager getAssets() { throw new UnsupportedOperationException(); }
    public android.content.ContentResolver getContentResolver() { throw new UnsupportedOperationException(); }
    protected void onCreate(android.os.Bundle state) { }
    protected void onDestroy() { }
    public void setContentView(int layout) { }
    public <T extends android.view.View> T findViewById(int id) { throw new UnsupportedOperationException(); }
    public final void runOnUiThread(Runnable work) { }
}
