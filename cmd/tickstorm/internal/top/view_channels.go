package top

// channelTable draws what comes of each channel.
func (m *Model) channelTable(cells, lines int) []string {
	if lines < 1 {
		return nil
	}
	columns := []column{{"CHANNEL", 8, false}, {"EV/S", 7, true}, {"", 0, false}, {"MB/S", 7, true}, {"TOTAL", 7, true}, {"DROPPED", 7, true}}
	if m.snapshot.ofRelay() { // which tells no more
		columns = columns[:3]
	}
	n := fits(columns, cells, 8)
	spark := cells - len(columns[:n]) + 1
	for _, c := range columns[:n] {
		spark -= c.width
	}
	out := []string{heading(columns[:n], cells)}
	for _, c := range m.snapshot.Channels {
		if len(out) == lines {
			break
		}
		out = append(out, row(columns[:n], []cell{
			{channelName(c.Channel), styles.title}, {number(c.EventRate), styles.plain}, {m.spark(c.history, spark), styles.well},
			{megabytes(c.ByteRate), styles.plain}, {number(float64(c.Events)), styles.plain}, {number(float64(c.Dropped)), counted(c.Dropped)},
		}[:n], cells))
	}
	return out
}
