package android.view;
public class View {
    public static final int VISIBLE = 0;
    public static final int GONE = 8;
    public interface OnClickListener { void onClick(View view); }
    public void setOnClickListener(OnClickListener listener) { }
    public void setVisibility(int visibility) { }
    public int getVisibility() { return 0; }
}
