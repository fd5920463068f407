package screen

import "syscall"

func session() *syscall.SysProcAttr { return nil }
