package main

import "sync/atomic"

// paths writes where files are that are done, a line each, to standard output. No work waits for a reader, or
// ends because standard output takes nothing: that is said at once, and is the failure at the end.
type paths struct {
	a       *app
	failure atomic.Pointer[error]
	gone    func() // is called if the reader has gone, which is no failure; may be nil
}

// tell writes a path.
func (p *paths) tell(path string) {
	if !p.a.results.through(p.a.stdout, []byte(path+"\n"), p.wrote) {
		p.wrote(errUnread)
	}
}

func (p *paths) wrote(err error) {
	if err != nil && isBrokenPipe(err) && p.gone != nil {
		p.gone()
	}
	if err := outputError(err); err != nil && p.failure.CompareAndSwap(nil, &err) {
		p.a.log.Error("the paths of files that are done are no longer written", "err", err)
	}
}

// end waits a while until they are written, and returns what kept them from it.
func (p *paths) end() error {
	if !p.a.results.end() {
		p.wrote(errUnread)
	}
	if failure := p.failure.Load(); failure != nil {
		return *failure
	}
	return nil
}
