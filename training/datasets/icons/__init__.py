"""Icons in color that a program draws, as a data set with twelve classes."""
