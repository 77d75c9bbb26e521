/**
 * The dashboard's pages: the frame around them here, each page with its parts in a folder, what they share in
 * `shared/`.
 */
export {};
