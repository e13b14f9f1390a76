package image

import "encoding/binary"

// exifOrientation returns the Exif orientation tag (0x0112) of a JPEG, 1..8; 1
// where it is absent or unreadable. Source: Exif 2.32 (CIPA DC-008).
func exifOrientation(data []byte) int {
	for i := 2; i+4 <= len(data); {
		if data[i] != 0xff {
			return 1
		}
		marker := data[i+1]
		switch {
		case marker == 0xff: // fill byte
			i++
			continue
		case marker == 0xda || marker == 0xd9: // the picture itself begins, or the file ends
			return 1
		case marker == 0x01 || marker >= 0xd0 && marker <= 0xd7: // no length follows
			i += 2
			continue
		}
		size := int(binary.BigEndian.Uint16(data[i+2:]))
		if size < 2 || i+2+size > len(data) {
			return 1
		}
		if segment := data[i+4 : i+2+size]; marker == 0xe1 && len(segment) > 6 && string(segment[:6]) == "Exif\x00\x00" {
			return tiffOrientation(segment[6:])
		}
		i += 2 + size
	}
	return 1
}

// tiffOrientation looks through the first directory of a TIFF structure.
func tiffOrientation(b []byte) int {
	if len(b) < 8 {
		return 1
	}
	var order binary.ByteOrder
	switch string(b[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	at := int64(order.Uint32(b[4:]))
	if at+2 > int64(len(b)) {
		return 1
	}
	entries := int(order.Uint16(b[at:]))
	for i := range entries {
		e := at + 2 + 12*int64(i)
		if e+12 > int64(len(b)) {
			return 1
		}
		const short = 3
		if order.Uint16(b[e:]) == 0x0112 && order.Uint16(b[e+2:]) == short {
			if v := int(order.Uint16(b[e+8:])); v >= 1 && v <= 8 {
				return v
			}
			return 1
		}
	}
	return 1
}

// orient turns and mirrors a picture stored with that orientation upright.
func orient(m *RGB, orientation int) *RGB {
	if orientation <= 1 || orientation > 8 {
		return m
	}
	w, h := m.Width, m.Height
	out := &RGB{Width: w, Height: h, Pix: make([]byte, len(m.Pix))}
	if orientation >= 5 {
		out.Width, out.Height = h, w
	}
	for y := range h {
		row := m.row(y)
		for x := range w {
			var tx, ty int
			switch orientation {
			case 2: // mirrored left-right
				tx, ty = w-1-x, y
			case 3: // upside down
				tx, ty = w-1-x, h-1-y
			case 4: // mirrored top-bottom
				tx, ty = x, h-1-y
			case 5: // transposed
				tx, ty = y, x
			case 6: // to be turned clockwise
				tx, ty = h-1-y, x
			case 7: // transposed over the other diagonal
				tx, ty = h-1-y, w-1-x
			case 8: // to be turned counter-clockwise
				tx, ty = y, w-1-x
			}
			copy(out.Pix[3*(ty*out.Width+tx):], row[3*x:3*x+3])
		}
	}
	return out
}
