//! The codec against its standard, against rumqttc, and against noise.
