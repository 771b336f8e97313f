//! How long an answer takes to become readings: nanoseconds of processor time.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]

use std::hint::black_box;

use adapter_modbus::batch::plan;
use adapter_modbus::spec::{Limits, PointSpec};
use adapter_modbus::{
    Address, Format, Int, Kind, PointCodec, Response, Scale, Table, decode_reply,
};

const ROUNDS: u32 = 200_000;

/// Seconds of processor time that this program has had: other programs do not count.
fn cpu() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn measure(name: &str, format: &Format, width: u16) {
    let points: Vec<PointSpec> = (0..120 / width)
        .map(|index| {
            let address = Address::new(Table::Holding, index * width);
            let codec = PointCodec::new(address, format.clone()).unwrap();
            PointSpec { index, group: 0, codec, write: None }
        })
        .collect();
    let which: Vec<usize> = (0..points.len()).collect();
    let batch = plan(&points, &which, &Limits::default()).remove(0);
    let answer: Vec<u8> = [3, 240].into_iter().chain(1..=240).collect();
    let begin = cpu();
    for _ in 0..ROUNDS {
        let response: Response = batch.request.accept(black_box(&answer)).unwrap();
        let mut entries = Vec::new();
        decode_reply(&points, &batch, &response, 0, &mut entries);
        black_box(&entries);
    }
    let nanos = (cpu() - begin) * 1e9 / f64::from(ROUNDS);
    let count = u32::try_from(points.len()).unwrap();
    println!("{name:24} {:6.2} ns per value, {nanos:7.0} ns per answer", nanos / f64::from(count));
}

fn main() {
    let int = |int| Format::new(Kind::Int(int));
    let tenth = Scale { factor: "0.1".parse().unwrap(), ..Scale::NONE };
    measure("u16", &int(Int::U16), 1);
    measure("i16 x 0.1", &Format { scale: Some(tenth), ..int(Int::I16) }, 1);
    measure("f32 ABCD", &Format::new(Kind::F32), 2);
    let order = Some("CDAB".parse().unwrap());
    measure("f32 CDAB", &Format { order, ..Format::new(Kind::F32) }, 2);
    measure("u64", &int(Int::U64), 4);
}
