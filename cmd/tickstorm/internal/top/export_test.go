package top

// SetHistory gives a snapshot and its channels a history.
func (s *Snapshot) SetHistory(rates []float64) {
	s.history = histories{rate: rates, bytes: rates, p50: rates, p99: rates}
	for i := range s.Channels {
		s.Channels[i].history = rates[i*10:]
	}
}
