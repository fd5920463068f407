package sim

// wire is the client's end of the line as the handshake sees it: it ends with the request, and
// keeps what the client has sent behind that, which the handshake would read and throw away.
type wire struct {
	*Conn
	early []byte
	line  int  // bytes of the line at hand, without its end
	ended bool // with an empty line
}

func (w *wire) Read(p []byte) (int, error) {
	if w.ended {
		return w.nc.Read(p)
	}
	n, err := w.nc.Read(p)
	for i, b := range p[:n] {
		switch {
		case b == '\n' && w.line == 0:
			w.ended = true
			w.early = append(w.early, p[i+1:n]...)
			return i + 1, nil // an error comes again
		case b == '\n':
			w.line = 0
		case b != '\r':
			w.line++
		}
	}
	return n, err
}

func (w *wire) Write(p []byte) (int, error) { return w.send(p) }
