"""Series of a customer: which columns are times, series and channels; missing values; windows; different lengths."""
