"""Pages: the studies that are shown, and a browser that opens their report and their live page."""
