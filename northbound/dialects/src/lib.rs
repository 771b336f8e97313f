//! Links: lanes of the log in the words of a platform.
