package otp

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"time"

	"dekamond-otp/internal/phone"
)

// A device token shows that a device has logged in with a phone before. It is no credential: it gives the device limits
// of its own, which no stranger can use up, and nothing else. It contains the device's identifier and the token's end,
// in Unix seconds, sealed for the phone and the purpose of a login. Nothing of it is stored.

// deviceIDSize is the length of a device's identifier in bytes.
const deviceIDSize = 16

// DeviceToken returns a token for a device that has just logged in with the phone. The device keeps the identifier of
// its current token, if that is valid for the phone. It returns an empty string if the service issues no tokens.
func (s *Service) DeviceToken(p phone.Number, current string) string {
	if s.deviceTTL == 0 {
		return ""
	}
	content, ok := s.openDevice(p, current)
	if !ok {
		content = make([]byte, deviceIDSize)
		_, _ = rand.Read(content) // never fails
	}
	end := s.clock.Now().Add(s.deviceTTL).Unix()
	content = binary.BigEndian.AppendUint64(content[:deviceIDSize:deviceIDSize], uint64(end))
	return encode(s.keys.devices.Seal(nil, nil, content, boundTo(p)))
}

// device returns the device that a token shows. It is empty if the token is forged, expired or another phone's.
func (s *Service) device(p phone.Number, token string) DeviceID {
	content, ok := s.openDevice(p, token)
	if !ok {
		return ""
	}
	return DeviceID(encode(content[:deviceIDSize]))
}

// openDevice returns the content of a token that is valid for the phone.
func (s *Service) openDevice(p phone.Number, token string) (content []byte, ok bool) {
	if s.deviceTTL == 0 || token == "" {
		return nil, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return nil, false
	}
	content, err = s.keys.devices.Open(nil, nil, sealed, boundTo(p))
	if err != nil || len(content) != deviceIDSize+8 {
		return nil, false
	}
	end := time.Unix(int64(binary.BigEndian.Uint64(content[deviceIDSize:])), 0)
	return content, s.clock.Now().Before(end)
}

// boundTo returns the additional data for which the tokens of a phone are sealed.
func boundTo(p phone.Number) []byte { return []byte("login " + p.E164()) }
