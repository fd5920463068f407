//go:build !linux

// Sixmarkets streams six markets on one thread. It needs Linux.
package main

import (
	"log"

	"github.com/tickstorm/tickstorm"
)

func main() { log.Fatal(tickstorm.ErrUnsupported) }
