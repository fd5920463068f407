package tickstorm

// This file is the one table of the wire: which channels each market has, what
// kind of event each carries, how it spells symbols, and which JSON key is which
// field. Topics, parsing, encoding and the simulator are all driven by it.

// member ties one JSON key of a channel to a field. The field's Go type decides
// which JSON it takes (see decode_reference.go and encode.go).
type member struct {
	key   string
	field Fields
	flags memberFlags
}

type memberFlags uint8

const (
	// whole numbers are integers on the vendor's side, kept in a float64 here:
	// they are written without an exponent.
	whole memberFlags = 1 << iota
	// quoted integers also come as a string.
	quoted
	// lone lists are written as a bare number when they have one element.
	lone
	// alias keys are read but never written.
	alias
)

// channel is one ev of one market.
type channel struct {
	name   string
	kind   Kind
	stream Stream
	form   symbolForm
	// limited channels have at most Config.MaxOptionQuotes symbols on one connection.
	limited bool
	// members in the order of the live feed, which is also the order of AppendJSON.
	members []member
	// byKey holds the members of one-byte keys by that byte and the others in a
	// short list: a key is found in a handful of nanoseconds without a map.
	byByte [128]int8
	longer []int8
	// opening and prefixes are what AppendJSON puts before the first member and
	// before each value: {"ev":"T" and ,"sym":
	opening  string
	prefixes []string
}

// find returns the index of the member with this key, -1 if there is none.
func (c *channel) find(key []byte) int {
	if len(key) == 1 {
		if key[0] < 128 {
			return int(c.byByte[key[0]])
		}
		return -1
	}
	for _, i := range c.longer {
		if c.members[i].key == string(key) {
			return int(i)
		}
	}
	return -1
}

func (c *channel) index() {
	c.opening = `{"ev":"` + c.name + `"`
	for _, m := range c.members {
		c.prefixes = append(c.prefixes, `,"`+m.key+`":`)
	}
	for i := range c.byByte {
		c.byByte[i] = -1
	}
	for i, m := range c.members {
		if len(m.key) == 1 {
			c.byByte[m.key[0]] = int8(i)
		} else {
			c.longer = append(c.longer, int8(i))
		}
	}
}

// maxOptionQuotes is the vendor's limit for option quotes on one connection.
const maxOptionQuotes = 1000

var (
	tradeMembers = []member{
		{"sym", TradeSymbol, 0}, {"i", TradeID, 0}, {"x", TradeExchange, quoted}, {"p", TradePrice, 0},
		{"s", TradeSize, whole}, {"c", TradeConditions, 0}, {"t", TradeTimestamp, 0},
		{"pt", TradeParticipantTimestamp, 0}, {"q", TradeSequence, 0}, {"z", TradeTape, 0},
		{"trfi", TradeTRF, 0}, {"trft", TradeTRFTimestamp, 0}, {"ds", TradeSizeDecimal, 0},
	}
	quoteMembers = []member{
		{"sym", QuoteSymbol, 0}, {"c", QuoteConditions, lone}, {"i", QuoteIndicators, 0},
		{"bx", QuoteBidExchange, quoted}, {"ax", QuoteAskExchange, quoted},
		{"bp", QuoteBidPrice, 0}, {"ap", QuoteAskPrice, 0}, {"bs", QuoteBidSize, whole}, {"as", QuoteAskSize, whole},
		{"t", QuoteTimestamp, 0}, {"pt", QuoteParticipantTimestamp, 0}, {"q", QuoteSequence, 0}, {"z", QuoteTape, 0},
		{"trfi", QuoteTRF, 0}, {"trft", QuoteTRFTimestamp, 0},
	}
	aggregateMembers = []member{
		{"sym", AggregateSymbol, 0}, {"v", AggregateVolume, whole}, {"av", AggregateDayVolume, whole},
		{"op", AggregateOfficialOpen, 0}, {"vw", AggregateVWAP, 0},
		{"o", AggregateOpen, 0}, {"c", AggregateClose, 0}, {"h", AggregateHigh, 0}, {"l", AggregateLow, 0},
		{"a", AggregateDayVWAP, 0}, {"z", AggregateAverageSize, whole},
		{"s", AggregateStart, 0}, {"e", AggregateEnd, 0},
		{"dv", AggregateVolumeDecimal, 0}, {"dav", AggregateDayVolumeDecimal, 0}, {"otc", AggregateOTC, 0},
	}
	luldMembers = []member{
		{"h", LULDUpperBand, 0}, {"l", LULDLowerBand, 0}, {"i", LULDIndicators, 0}, {"z", LULDTape, 0},
		{"T", LULDSymbol, 0}, {"t", LULDTimestamp, 0}, {"q", LULDSequence, 0},
	}
	imbalanceMembers = []member{
		{"T", ImbalanceSymbol, 0}, {"t", ImbalanceTimestamp, 0}, {"at", ImbalanceAuctionTime, 0},
		{"a", ImbalanceAuction, 0}, {"i", ImbalanceSequence, 0}, {"x", ImbalanceExchange, quoted},
		{"o", ImbalanceImbalance, 0}, {"p", ImbalancePaired, 0}, {"b", ImbalanceBookClearingPrice, 0},
	}
	// The first documentation of FMV, of 2023, called the value val.
	fairMarketValueMembers = []member{
		{"fmv", ValueVal, 0}, {"sym", ValueSymbol, 0}, {"t", ValueTimestamp, 0}, {"val", ValueVal, alias},
	}
	launchpadValueMembers = []member{{"val", ValueVal, 0}, {"sym", ValueSymbol, 0}, {"t", ValueTimestamp, 0}}
	indexValueMembers     = []member{{"val", ValueVal, 0}, {"T", ValueSymbol, 0}, {"t", ValueTimestamp, 0}}

	forexQuoteMembers = []member{
		{"p", QuoteSymbol, 0}, {"x", QuoteExchange, quoted}, {"a", QuoteAskPrice, 0}, {"b", QuoteBidPrice, 0},
		{"t", QuoteTimestamp, 0}, {"i", QuoteIndicators, lone},
	}
	pairAggregateMembers = []member{
		{"pair", AggregateSymbol, 0}, {"v", AggregateVolume, 0}, {"vw", AggregateVWAP, 0}, {"z", AggregateAverageSize, 0},
		{"o", AggregateOpen, 0}, {"c", AggregateClose, 0}, {"h", AggregateHigh, 0}, {"l", AggregateLow, 0},
		{"s", AggregateStart, 0}, {"e", AggregateEnd, 0},
	}
	cryptoTradeMembers = []member{
		{"pair", TradeSymbol, 0}, {"p", TradePrice, 0}, {"t", TradeTimestamp, 0}, {"s", TradeSize, 0},
		{"c", TradeConditions, 0}, {"i", TradeID, 0}, {"x", TradeExchange, quoted}, {"r", TradeVendorReceived, 0},
	}
	cryptoQuoteMembers = []member{
		{"pair", QuoteSymbol, 0}, {"lp", QuoteLastPrice, 0}, {"ls", QuoteLastSize, 0},
		{"bp", QuoteBidPrice, 0}, {"bs", QuoteBidSize, 0}, {"ap", QuoteAskPrice, 0}, {"as", QuoteAskSize, 0},
		{"t", QuoteTimestamp, 0}, {"x", QuoteExchange, quoted}, {"r", QuoteVendorReceived, 0},
	}
	bookMembers = []member{
		{"pair", BookSymbol, 0}, {"t", BookTimestamp, 0}, {"r", BookVendorReceived, 0}, {"x", BookExchange, quoted},
		{"b", BookBids, 0}, {"a", BookAsks, 0},
	}
	futuresTradeMembers = []member{
		{"sym", TradeSymbol, 0}, {"z", TradeTape, 0}, {"p", TradePrice, 0}, {"s", TradeSize, whole},
		{"t", TradeTimestamp, 0}, {"q", TradeSequence, 0},
	}
	futuresQuoteMembers = []member{
		{"sym", QuoteSymbol, 0}, {"bx", QuoteBidExchange, quoted}, {"ax", QuoteAskExchange, quoted}, {"i", QuoteIndicators, 0},
		{"bp", QuoteBidPrice, 0}, {"bs", QuoteBidSize, whole}, {"bt", QuoteBidTime, 0},
		{"ap", QuoteAskPrice, 0}, {"as", QuoteAskSize, whole}, {"at", QuoteAskTime, 0},
		{"t", QuoteTimestamp, 0}, {"q", QuoteSequence, 0}, {"z", QuoteTape, 0},
	}
	futuresAggregateMembers = []member{
		{"sym", AggregateSymbol, 0}, {"v", AggregateVolume, whole}, {"dv", AggregateTurnover, 0},
		{"o", AggregateOpen, 0}, {"c", AggregateClose, 0}, {"h", AggregateHigh, 0}, {"l", AggregateLow, 0},
		{"n", AggregateTransactions, 0}, {"s", AggregateStart, 0}, {"e", AggregateEnd, 0},
	}
)

// table maps a market's class to its channels.
var table = map[string][]*channel{
	Stocks.class(): {
		{name: "T", kind: KindTrade, stream: Trades, members: tradeMembers},
		{name: "Q", kind: KindQuote, stream: Quotes, members: quoteMembers},
		{name: "A", kind: KindAggregate, stream: SecondAggregates, members: aggregateMembers},
		{name: "AM", kind: KindAggregate, stream: MinuteAggregates, members: aggregateMembers},
		{name: "LULD", kind: KindLULD, stream: LimitUpLimitDown, members: luldMembers},
		{name: "NOI", kind: KindImbalance, stream: Imbalances, members: imbalanceMembers},
		{name: "FMV", kind: KindValue, stream: FairMarketValues, members: fairMarketValueMembers},
		{name: "LV", kind: KindValue, stream: LaunchpadValues, members: launchpadValueMembers},
	},
	Options.class(): {
		{name: "T", kind: KindTrade, stream: Trades, form: optionForm, members: tradeMembers},
		{name: "Q", kind: KindQuote, stream: Quotes, form: optionForm, limited: true, members: quoteMembers},
		{name: "A", kind: KindAggregate, stream: SecondAggregates, form: optionForm, members: aggregateMembers},
		{name: "AM", kind: KindAggregate, stream: MinuteAggregates, form: optionForm, members: aggregateMembers},
		{name: "FMV", kind: KindValue, stream: FairMarketValues, form: optionForm, members: fairMarketValueMembers},
		{name: "LV", kind: KindValue, stream: LaunchpadValues, form: optionForm, members: launchpadValueMembers},
	},
	Forex.class(): {
		{name: "C", kind: KindQuote, stream: Quotes, form: forexForm, members: forexQuoteMembers},
		{name: "CAS", kind: KindAggregate, stream: SecondAggregates, form: forexForm, members: pairAggregateMembers},
		{name: "CA", kind: KindAggregate, stream: MinuteAggregates, form: forexForm, members: pairAggregateMembers},
		{name: "AM", kind: KindAggregate, stream: LaunchpadAggregates, form: forexDashForm, members: aggregateMembers},
		{name: "FMV", kind: KindValue, stream: FairMarketValues, form: forexTightForm, members: fairMarketValueMembers},
		{name: "LV", kind: KindValue, stream: LaunchpadValues, form: forexTightForm, members: launchpadValueMembers},
	},
	Crypto.class(): {
		{name: "XT", kind: KindTrade, stream: Trades, form: cryptoForm, members: cryptoTradeMembers},
		{name: "XQ", kind: KindQuote, stream: Quotes, form: cryptoForm, members: cryptoQuoteMembers},
		{name: "XAS", kind: KindAggregate, stream: SecondAggregates, form: cryptoForm, members: pairAggregateMembers},
		{name: "XA", kind: KindAggregate, stream: MinuteAggregates, form: cryptoForm, members: pairAggregateMembers},
		{name: "XL2", kind: KindBook, stream: Level2, form: cryptoForm, members: bookMembers},
		{name: "AM", kind: KindAggregate, stream: LaunchpadAggregates, form: cryptoPrefixForm, members: aggregateMembers},
		{name: "FMV", kind: KindValue, stream: FairMarketValues, form: cryptoPrefixForm, members: fairMarketValueMembers},
		{name: "LV", kind: KindValue, stream: LaunchpadValues, form: cryptoPrefixForm, members: launchpadValueMembers},
	},
	Indices.class(): {
		{name: "V", kind: KindValue, stream: Values, form: indexForm, members: indexValueMembers},
		{name: "A", kind: KindAggregate, stream: SecondAggregates, form: indexForm, members: aggregateMembers},
		{name: "AM", kind: KindAggregate, stream: MinuteAggregates, form: indexForm, members: aggregateMembers},
	},
	Futures.class(): {
		{name: "T", kind: KindTrade, stream: Trades, members: futuresTradeMembers},
		{name: "Q", kind: KindQuote, stream: Quotes, members: futuresQuoteMembers},
		{name: "A", kind: KindAggregate, stream: SecondAggregates, members: futuresAggregateMembers},
		{name: "AM", kind: KindAggregate, stream: MinuteAggregates, members: futuresAggregateMembers},
	},
}

// statusChannel is the one that every market has, also those not in the table.
var statusChannel = &channel{name: "status", kind: KindStatus, members: []member{
	{"status", StatusStatus, 0}, {"message", StatusMessage, 0},
}}

// defaultChannels writes events that were made by hand and name no market.
var defaultChannels [kindCount]*channel

func init() {
	statusChannel.index()
	defaultChannels[KindStatus] = statusChannel
	for _, class := range []Market{Crypto, Indices, Stocks} { // the last to offer a kind wins: stocks where it can
		for _, c := range table[class.class()] {
			defaultChannels[c.kind] = c
		}
	}
	for _, channels := range table {
		for _, c := range channels {
			c.index()
		}
	}
}

// channels returns the market's channels, none if it is not in the table.
func (m Market) channels() []*channel { return table[m.class()] }

// channelNamed returns the market's channel with this ev, nil if there is none.
func channelNamed(channels []*channel, ev []byte) *channel {
	for _, c := range channels {
		if c.name == string(ev) {
			return c
		}
	}
	if statusChannel.name == string(ev) {
		return statusChannel
	}
	return nil
}

// channelOf returns the market's channel of a stream, nil if it has none. On stocks,
// options and the like, Launchpad's aggregates come as plain AM.
func (m Market) channelOf(s Stream) *channel {
	for _, c := range m.channels() {
		if c.stream == s {
			return c
		}
	}
	if s == LaunchpadAggregates {
		return m.channelOf(MinuteAggregates)
	}
	return nil
}
