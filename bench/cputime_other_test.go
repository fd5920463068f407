//go:build !unix

package bench_test

import "time"

func cpuTime() (t time.Duration, ok bool) { return 0, false }
