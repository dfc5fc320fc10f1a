package redisstore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"slices"
	"strconv"
	"strings"

	"dekamond-otp/internal/otp"
)

// A partition is the beginning of the keys of one share of the phones. It contains a hash tag, so that a cluster keeps
// them all in one slot.
type partition string

// partitions returns as many partitions, under the client's prefix. On a cluster their slots are equally far apart, so
// that masters with equally many slots keep equally many partitions, or one more.
func partitions(c *Client, n int) []partition {
	tags := make([]int, n)
	for i := range tags {
		tags[i] = i
	}
	if c.cluster {
		tags = evenTags(n)
	}
	all := make([]partition, n)
	for i, tag := range tags {
		all[i] = partition(fmt.Sprintf("%s{%d}:", c.prefix, tag))
	}
	return all
}

const slots = 16384 // of a Redis Cluster

// evenTags returns n hash tags. The slot of each is the middle of its n-th part of all slots.
func evenTags(n int) []int {
	wanted := make(map[int]int, n) // the part, by the slot in its middle
	for i := range n {
		wanted[(2*i+1)*slots/(2*n)] = i
	}
	tags := make([]int, n)
	for tag := 0; len(wanted) > 0; tag++ {
		slot := slotOf(strconv.Itoa(tag))
		if i, ok := wanted[slot]; ok {
			tags[i] = tag
			delete(wanted, slot)
		}
	}
	return tags
}

// slotOf returns the slot of a hash tag: its CRC16/XMODEM modulo the number of slots (Redis Cluster specification, Key
// distribution model).
func slotOf(tag string) int {
	crc := uint16(0)
	for i := range len(tag) {
		crc ^= uint16(tag[i]) << 8
		for range 8 {
			carry := crc >> 15
			crc = crc<<1 ^ carry*0x1021
		}
	}
	return int(crc) % slots
}

func (s *Codes) partition(phone otp.Pseudonym) partition {
	h := fnv.New32a()
	_, _ = io.WriteString(h, string(phone))
	return s.partitions[h.Sum32()%uint32(len(s.partitions))]
}

func (p partition) outbox() string { return string(p) + "outbox" }
func (p partition) health() string { return string(p) + "health" }

// deviceKey stands before the identifier of a known device, at the end of keys of its own.
const deviceKey = ":device:"

func (p partition) challenge(at otp.Place) string {
	key := string(p) + string(at.Phone) + ":code"
	if at.Purpose != otp.ForLogin {
		key += ":" + string(at.Purpose)
	}
	return ofDevice(key, at.Device)
}

// sends returns the keys of the lists in which the sends of a place are counted, besides those of sources: the list of
// the place, and for a known device that of all known devices of the phone.
func (p partition) sends(at otp.Place) []string {
	return sendsTo(string(p)+string(at.Phone), at.Device)
}

// sendsOf returns what sends returns for the place of the challenge with this key.
func sendsOf(challenge string) []string {
	phone, rest, _ := strings.Cut(challenge, ":code")
	_, device, _ := strings.Cut(rest, deviceKey)
	return sendsTo(phone, otp.DeviceID(device))
}

// sendsTo is sends for a phone whose keys begin so.
func sendsTo(phone string, d otp.DeviceID) []string {
	keys := []string{ofDevice(phone+":sends", d)}
	if d != "" {
		keys = append(keys, phone+":sends:devices")
	}
	return keys
}

// others returns the key of the set of a phone's challenges for a purpose, apart from the open one: those of known
// devices and those that were replaced.
func (p partition) others(at otp.Place) string { return p.challenge(at.Open()) + ":others" }

// A tally holds the keys of the wrong attempts that count together.
type tally struct {
	day   string // times of those in a day
	short string // times of those in a day at codes of the usual length
	row   string // number of those in a row
}

// tally returns the tally of a place. A change of phone has one of its own, so that it leaves the login alone.
func (p partition) tally(at otp.Place) tally {
	phone := string(p) + string(at.Phone)
	if at.Purpose != otp.ForLogin {
		phone += ":change"
	}
	return tally{day: ofDevice(phone+":wrong", at.Device), short: phone + ":short", row: phone + ":row"}
}

func ofDevice(key string, d otp.DeviceID) string {
	if d == "" {
		return key
	}
	return key + deviceKey + string(d)
}

func (s *Codes) handoff(h otp.Handoff) string {
	return s.client.prefix + "report:{" + h.Provider + ":" + h.ID + "}"
}

// A receipt is one send that was counted in a list of a source.
type receipt struct{ key, time string }

// String returns the receipt as it is stored in Redis and in an otp.Receipt.
func (r receipt) String() string { return r.key + " " + r.time }

// lines returns receipts of a line each.
func lines(receipts []receipt) string {
	var text []string
	for _, r := range receipts {
		text = append(text, r.String())
	}
	return strings.Join(text, "\n")
}

// parseReceipts reads receipts of a line each. An empty text holds none.
func parseReceipts(text string) (receipts []receipt, err error) {
	for line := range strings.SplitSeq(text, "\n") {
		if line == "" {
			continue
		}
		key, time, ok := strings.Cut(line, " ")
		if !ok {
			return nil, errors.New("not a receipt")
		}
		receipts = append(receipts, receipt{key, time})
	}
	return receipts, nil
}

// receiptsOf reads the receipts of a match.
func receiptsOf(lists ...[]otp.Receipt) (receipts []receipt, err error) {
	for _, text := range slices.Concat(lists...) {
		parsed, err := parseReceipts(string(text))
		if err != nil {
			return nil, unavailable(err)
		}
		receipts = append(receipts, parsed...)
	}
	return receipts, nil
}
