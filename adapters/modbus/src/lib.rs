//! Modbus TCP and RTU.
