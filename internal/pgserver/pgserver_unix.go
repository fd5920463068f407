//go:build unix

package pgserver

import (
	"os"
	"os/exec"
	"os/user"
	"strconv"
	"syscall"
)

// runnable reports whether servers are run on this platform.
const runnable = true

// servant is who the server runs as, which refuses to be root's; ok is false if that is not us.
func servant() (id syscall.Credential, ok bool) {
	if os.Getuid() != 0 {
		return id, false
	}
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.Atoi(u.Uid) // numbers, on unix
			gid, _ := strconv.Atoi(u.Gid)
			return syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, true
		}
	}
	return id, false
}

// own gives a folder to whom the server runs as.
func own(dir string) error {
	if id, ok := servant(); ok {
		return os.Chown(dir, int(id.Uid), int(id.Gid))
	}
	return nil
}

func disguise(cmd *exec.Cmd) {
	if id, ok := servant(); ok {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &id}
	}
}

func kill(pid int) error { return syscall.Kill(pid, syscall.SIGKILL) }

func alive(pid int) bool { return pid > 0 && syscall.Kill(pid, 0) == nil }
