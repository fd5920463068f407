package main

import (
	"bytes"
	"os"
	"runtime"
	"slices"
	"strconv"
)

// residentBytes is the memory that the process has: as the system counts it where that can
// be read, else what the runtime has of it.
func residentBytes() int64 {
	if b, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := bytes.Fields(b); len(fields) > 1 {
			if pages, err := strconv.ParseInt(string(fields[1]), 10, 64); err == nil {
				return pages * int64(os.Getpagesize())
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.Sys - m.HeapReleased)
}

func sorted(list []string) []string {
	slices.Sort(list)
	return list
}
