//go:build !unix

package pgserver

import (
	"os"
	"os/exec"
)

const runnable = false

func own(string) error { return nil }

func disguise(*exec.Cmd) {}

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

func alive(pid int) bool { return pid > 0 }
