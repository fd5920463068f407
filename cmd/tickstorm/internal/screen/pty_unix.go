//go:build unix

package screen

import (
	"errors"
	"os"
	"syscall"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"
)

// session makes the terminal that of the command.
func session() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true, Setctty: true} }

// open opens a terminal. A read of its master does not keep it from being closed, as it would if it were
// left as pty.Open makes it: in a blocking read, that is, until the program writes something.
func open() (master, terminal *os.File, err error) {
	blocking, terminal, err := pty.Open()
	if err != nil {
		return nil, nil, err
	}
	defer blocking.Close()
	fd, err := unix.FcntlInt(blocking.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.Join(err, terminal.Close())
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		return nil, nil, errors.Join(err, unix.Close(fd), terminal.Close())
	}
	return os.NewFile(uintptr(fd), blocking.Name()), terminal, nil
}

// resize makes a terminal another size. Its method Fd is not asked for, which would have it block.
func resize(master *os.File, width, height int) error {
	c, err := master.SyscallConn()
	if err != nil {
		return err
	}
	size := unix.Winsize{Col: uint16(width), Row: uint16(height)}
	closed := c.Control(func(fd uintptr) { err = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &size) })
	return errors.Join(closed, err)
}
