"""The app for browsers: a static page on LiteRT.js that also works offline."""
