"""An SSH server that lets one user in with one password: `password_server.py PORT HOST_KEY`, until it is killed."""

from __future__ import annotations

import asyncio
import sys

import asyncssh

USER, PASSWORD = "pi", "swordfish"


class Guard(asyncssh.SSHServer):
    def begin_auth(self, username: str) -> bool:
        return True

    def password_auth_supported(self) -> bool:
        return True

    def validate_password(self, username: str, password: str) -> bool:
        return (username, password) == (USER, PASSWORD)


async def serve(process: asyncssh.SSHServerProcess[bytes]) -> None:
    pipe = asyncio.subprocess.PIPE
    shell = await asyncio.create_subprocess_shell(process.command or "", stdin=pipe, stdout=pipe, stderr=pipe)
    await process.redirect(stdin=shell.stdin, stdout=shell.stdout, stderr=shell.stderr)
    process.exit(await shell.wait())


async def main(port: int, host_key: str) -> None:
    options = {"server_host_keys": [host_key], "process_factory": serve, "encoding": None}
    server = await asyncssh.create_server(Guard, "127.0.0.1", port, **options)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2]))
