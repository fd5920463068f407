// Package poison turns "valid until the method returns" from a comment into a
// failure: in builds with the race detector or the tag tickstorm_poison, memory
// that was lent to a handler is overwritten as soon as it is taken back.
// In other builds it compiles to nothing.
package poison
