//go:build !unix

package fanout_test

import "time"

func cpuTime() (t time.Duration, ok bool) { return 0, false }
