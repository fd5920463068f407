// Package faults has the proof of sink/nats over networks that fail: a module of its own, since who uses
// sink/nats is not to have what spoils networks among its dependencies.
package faults
