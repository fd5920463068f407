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
