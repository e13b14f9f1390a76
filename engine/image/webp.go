package image

import (
	"encoding/binary"
	"errors"
)

// webpFirstFrame returns a simple WebP file that holds only the first frame's
// VP8 or VP8L chunk. That reads animations, which the decoder does not, drops
// the alpha plane, which is not wanted, and makes the size that the header
// check sees the size that is decoded. Container: RFC 9649.
func webpFirstFrame(data []byte) ([]byte, error) {
	body := data[12:]
	for len(body) >= 8 {
		id := string(body[:4])
		size := int64(binary.LittleEndian.Uint32(body[4:]))
		end := 8 + size
		if end > int64(len(body)) {
			return nil, errors.New("a chunk runs past the end of the file")
		}
		switch id {
		case "VP8 ", "VP8L":
			chunk := body[:end]
			out := make([]byte, 0, 12+len(chunk)+1)
			out = append(out, "RIFF\x00\x00\x00\x00WEBP"...)
			out = append(out, chunk...)
			if size%2 == 1 {
				out = append(out, 0)
			}
			binary.LittleEndian.PutUint32(out[4:], uint32(len(out)-8))
			return out, nil
		case "ANMF":
			if size < 16 {
				return nil, errors.New("an animation frame is too short")
			}
			body = body[8+16:] // the frame's own chunks come next
			continue
		}
		body = body[min(end+size%2, int64(len(body))):]
	}
	return nil, errors.New("it has no image chunk")
}
