const { getDefaultConfig, mergeConfig } = require("@react-native/metro-config");

const defaults = getDefaultConfig(__dirname);

// The model and the golden tensors are files of the app, not code.
module.exports = mergeConfig(defaults, {
  resolver: { assetExts: [...defaults.resolver.assetExts, "tflite", "bin"] },
});
