"""Tables and figures for a paper: the claims of the page, in the forms that papers want."""
