//! Who is at the other end of the control socket: proven by the kernel, never claimed by the caller.

use std::fs;

use tokio::net::UnixStream;
use twin::{Principal, PrincipalKind};

/// The caller as a principal: `user:<name>`, or `user:<number>` where the number has no name here.
pub fn principal(stream: &UnixStream) -> std::io::Result<Principal> {
    let uid = stream.peer_cred()?.uid();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let name = column(&passwd, uid, 0).map_or_else(|| uid.to_string(), Into::into);
    Ok(Principal { kind: PrincipalKind::User, name: name.into() })
}

/// The number of a group of this machine.
pub fn group(name: &str) -> Option<u32> {
    let groups = fs::read_to_string("/etc/group").ok()?;
    let line = groups.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}

/// The name in the line of passwd(5) with this number.
fn column(passwd: &str, uid: u32, column: usize) -> Option<&str> {
    let uid = uid.to_string();
    let line = passwd.lines().find(|line| line.split(':').nth(2) == Some(&uid))?;
    line.split(':').nth(column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_named_as_the_machine_names_it() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nada:x:1000:1000::/home/ada:/bin/sh\n";
        assert_eq!(column(passwd, 1000, 0), Some("ada"));
        assert_eq!(column(passwd, 100, 0), None, "a part of a number is another number");
        assert_eq!(group("root"), Some(0));
    }

    #[tokio::test]
    async fn the_kernel_says_who_calls() {
        let (here, _there) = UnixStream::pair().unwrap();
        let me = rustix::process::getuid().as_raw();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let name = column(&passwd, me, 0).map_or(me.to_string(), Into::into);
        assert_eq!(principal(&here).unwrap().to_string(), format!("user:{name}"));
    }
}
