//go:build !race && !tickstorm_poison

package poison

// On reports whether lent memory is overwritten when it is taken back.
const On = false

// Bytes does nothing in this build.
func Bytes([]byte) {}
