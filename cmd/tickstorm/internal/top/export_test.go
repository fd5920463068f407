package top

// SetHistory gives a snapshot and its channels a history.
func (s *Snapshot) SetHistory(rates []float64) {
	s.history = histories{rate: rates, bytes: rates, p50: rates, p99: rates}
	for i := range s.Channels {
		s.Channels[i].history = rates[i*10:]
	}
}

// History is that of the rates of its first channel.
func (s *Snapshot) History() []float64 { return s.Channels[0].history }

// RelayOf reads what an admin server says.
var RelayOf = relayOf

// Rates is its history of rates.
func (s *Snapshot) Rates() []float64 { return s.history.rate }
