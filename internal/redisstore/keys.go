package redisstore

import (
	"errors"
	"fmt"
	"hash/fnv"
	"io"
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

func (p partition) outbox() string                   { return string(p) + "outbox" }
func (p partition) health() string                   { return string(p) + "health" }
func (p partition) sends(phone otp.Pseudonym) string { return string(p) + string(phone) + ":sends" }
func (p partition) wrong(phone otp.Pseudonym) string { return string(p) + string(phone) + ":wrong" }

func (p partition) challenge(phone otp.Pseudonym, purpose otp.Purpose) string {
	key := string(p) + string(phone) + ":code"
	if purpose != otp.ForLogin {
		key += ":" + string(purpose)
	}
	return key
}

// sendsOf returns the key of the sends to the phone whose challenge has this key.
func sendsOf(challenge string) string {
	phone, _, _ := strings.Cut(challenge, ":code")
	return phone + ":sends"
}

func (s *Codes) address(a otp.Pseudonym) string { return s.client.prefix + "{" + string(a) + "}:sends" }

func (s *Codes) handoff(h otp.Handoff) string {
	return s.client.prefix + "report:{" + h.Provider + ":" + h.ID + "}"
}

// A receipt is one send that was counted against an address. The zero receipt stands for none.
type receipt struct{ key, time string }

// String returns the receipt as it is stored in Redis and in an otp.Receipt.
func (r receipt) String() string {
	if r.key == "" {
		return ""
	}
	return r.key + " " + r.time
}

func parseReceipt(text string) (receipt, error) {
	key, time, ok := strings.Cut(text, " ")
	if !ok && text != "" {
		return receipt{}, errors.New("not a receipt")
	}
	return receipt{key, time}, nil
}
