package record

import (
	"context"

	"github.com/tickstorm/tickstorm"
)

// Source reads the messages of one market, in the form that package sim serves them in: it is a
// sim.Source and a sim.Seeker. What is damaged it steps over.
//
//	replay := &sim.Replay{Speed: 1, Open: func(m tickstorm.Market) (sim.Source, error) {
//		return record.OpenSource(m, "recordings")
//	}}
//
// It serves one goroutine at a time.
type Source struct {
	r *Reader
	// OnDamage, if not nil, is told what is stepped over.
	OnDamage func(*Damage)
}

// OpenSource opens what of some recordings, as [Open] takes them, is of a market.
func OpenSource(m tickstorm.Market, paths ...string) (*Source, error) {
	r, err := Open(paths...)
	if err != nil {
		return nil, err
	}
	r.Filter(Filter{Markets: []tickstorm.Market{m}})
	return &Source{r: r}, nil
}

// Next returns the next message and when it was received, in nanoseconds since 1970; io.EOF at the
// end. msg is valid until the next call.
func (s *Source) Next() (msg []byte, received int64, err error) {
	for {
		e, err := s.r.Next(context.Background())
		switch {
		case err != nil:
			return nil, 0, err
		case e.Damage != nil:
			if s.OnDamage != nil {
				s.OnDamage(e.Damage)
			}
		case e.Control == nil:
			return e.Raw, e.Received, nil
		}
	}
}

// SeekTo goes on at the first message that was received at a time, in nanoseconds since 1970, or
// later.
func (s *Source) SeekTo(received int64) error {
	s.r.Seek(Received, timeAt(received))
	return nil
}

// Close closes all files.
func (s *Source) Close() error { return s.r.Close() }
