"""Reports: one HTML file that opens offline, made of sections of text, tables and figures."""
