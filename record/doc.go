// Package record keeps what a connection sends, as it came, in files that survive a crash, and
// reads them again.
//
// A recording is a folder of segments. Each is a file of independent zstd frames of text lines,
// one line a message, so that "zstdcat segment.tsr.zst" shows it to any tool; between the
// frames stand indices that zstdcat passes over, through which a [Reader] finds a moment and
// steps over damage. FORMAT.md says what each byte is and why.
package record
