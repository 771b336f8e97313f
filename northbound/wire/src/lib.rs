//! The only northbound sockets: MQTT session and TLS.
