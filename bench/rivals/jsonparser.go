package rivals

import (
	"github.com/buger/jsonparser"

	"github.com/tickstorm/tickstorm"
	"github.com/tickstorm/tickstorm/bench"
)

// jsonParser calls back for every element and every value. The callbacks are made
// once: each method value would allocate.
type jsonParser struct {
	events events
	sum    *bench.Checksum
	err    error

	onElement func([]byte, jsonparser.ValueType, int, error)
	onValue   func(key, value []byte, t jsonparser.ValueType, offset int) error
	onNumber  func([]byte, jsonparser.ValueType, int, error)
	onLevel   func([]byte, jsonparser.ValueType, int, error)
	onPart    func([]byte, jsonparser.ValueType, int, error)

	list   *[]int32
	levels *[]tickstorm.Level
	pair   [2]float64
	parts  int
}

func newJSONParser(m tickstorm.Market) bench.Decoder {
	d := &jsonParser{events: events{market: m}}
	d.onElement, d.onValue, d.onNumber, d.onLevel, d.onPart = d.element, d.value, d.number, d.level, d.part
	return d
}

func (d *jsonParser) Decode(msg []byte, sum *bench.Checksum) error {
	d.sum, d.err = sum, nil
	if _, err := jsonparser.ArrayEach(msg, d.onElement); err != nil {
		return err
	}
	return d.err
}

func (d *jsonParser) note(err error) {
	if d.err == nil {
		d.err = err
	}
}

func (d *jsonParser) element(element []byte, _ jsonparser.ValueType, _ int, _ error) {
	ev := eventOf(element)
	if !d.events.start(view(ev)) {
		d.note(unexpected(ev))
		return
	}
	d.note(jsonparser.ObjectEach(element, d.onValue))
	d.events.fold(&d.events, d.sum)
}

func (d *jsonParser) value(key, value []byte, t jsonparser.ValueType, _ int) (err error) {
	var n int64
	switch p := d.events.field(&d.events, view(key)).(type) {
	case *float64:
		*p, err = jsonparser.ParseFloat(value)
	case *tickstorm.Timestamp:
		n, err = jsonparser.ParseInt(value)
		*p = tickstorm.Timestamp(n)
	case *int64:
		*p, err = jsonparser.ParseInt(value)
	case *int32:
		n, err = jsonparser.ParseInt(value)
		*p = int32(n)
	case *string:
		*p, err = jsonparser.ParseString(value)
	case *[]byte:
		*p = value
	case *tickstorm.Decimal:
		*p = decimal(value)
	case *bool:
		*p, err = jsonparser.ParseBoolean(value)
	case *[]int32:
		d.list = p
		if t == jsonparser.Number {
			d.number(value, t, 0, nil)
			return d.err
		}
		_, err = jsonparser.ArrayEach(value, d.onNumber)
	case *[]tickstorm.Level:
		d.levels = p
		_, err = jsonparser.ArrayEach(value, d.onLevel)
	}
	return err
}

func (d *jsonParser) number(value []byte, _ jsonparser.ValueType, _ int, _ error) {
	n, err := jsonparser.ParseInt(value)
	d.note(err)
	*d.list = append(*d.list, int32(n))
}

func (d *jsonParser) level(value []byte, _ jsonparser.ValueType, _ int, _ error) {
	d.parts = 0
	_, err := jsonparser.ArrayEach(value, d.onPart)
	d.note(err)
	*d.levels = append(*d.levels, tickstorm.Level{Price: d.pair[0], Size: d.pair[1]})
}

func (d *jsonParser) part(value []byte, _ jsonparser.ValueType, _ int, _ error) {
	f, err := jsonparser.ParseFloat(value)
	d.note(err)
	if d.parts < len(d.pair) {
		d.pair[d.parts] = f
	}
	d.parts++
}
