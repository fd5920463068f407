//go:build !unix

// Package cputime is what benchmarks know of processors.
package cputime

import "time"

// Used returns the processor time that this process has used, of all its threads; 0 where the system does
// not say.
func Used() time.Duration { return 0 }
