//! Requests and answers of the local API.
