//go:build race || tickstorm_poison

package poison

// On reports whether lent memory is overwritten when it is taken back.
const On = true

// Bytes overwrites b, so that whoever kept it reads 0xCC instead of plausible data.
func Bytes(b []byte) {
	for i := range b {
		b[i] = 0xCC
	}
}
