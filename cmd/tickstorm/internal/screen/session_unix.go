//go:build unix

package screen

import "syscall"

// session makes the terminal that of the command.
func session() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true, Setctty: true} }
