/** Where a file is (RFC 3986 leaves `'` alone in a query). */
export const fileAddress = ({ id, name }) => `files/${id}?name=${encodeURIComponent(name)}`;

/** Where a small picture of a checked image is. */
export const thumbnailAddress = ({ id }) => `files/${id}/thumbnail`;
