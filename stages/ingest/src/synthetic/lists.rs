//! What made-up users and products are made of.

/// A kind of clothing that one department sells.
pub(super) struct Category {
    pub(super) name: &'static str,
    /// What one product of it is called.
    pub(super) noun: &'static str,
    /// Its share of the department's products, in no particular unit.
    pub(super) share: f64,
    /// The median price in US dollars of a brand of the middle price level.
    pub(super) price: f64,
    /// How much a buyer tends to buy the same product again, from 0 to 1.
    pub(super) again: f64,
}

const fn category(name: &'static str, noun: &'static str, share: f64, price: f64, again: f64) -> Category {
    Category { name, noun, share, price, again }
}

/// The departments, in the order of [`CATEGORIES`].
pub(super) const DEPARTMENTS: [&str; 2] = ["Women", "Men"];

pub(super) const CATEGORIES: [&[Category]; 2] = [
    &[
        category("Intimates", "Bra", 16.0, 28.0, 0.9),
        category("Dresses", "Dress", 7.0, 59.0, 0.2),
        category("Swim", "Swimsuit", 6.0, 53.0, 0.2),
        category("Jeans", "Skinny Jeans", 6.0, 79.0, 0.5),
        category("Sleep & Lounge", "Pajama Set", 6.0, 38.0, 0.4),
        category("Fashion Hoodies & Sweatshirts", "Hoodie", 6.0, 44.0, 0.4),
        category("Tops & Tees", "Tee", 6.0, 30.0, 0.7),
        category("Sweaters", "Cardigan", 5.0, 54.0, 0.3),
        category("Shorts", "Shorts", 5.0, 32.0, 0.4),
        category("Accessories", "Scarf", 5.0, 23.0, 0.5),
        category("Active", "Running Top", 5.0, 33.0, 0.6),
        category("Socks & Hosiery", "Tights", 5.0, 14.0, 1.0),
        category("Leggings", "Leggings", 4.0, 17.0, 0.8),
        category("Pants & Capris", "Capris", 4.0, 40.0, 0.4),
        category("Outerwear & Coats", "Coat", 4.0, 105.0, 0.05),
        category("Blazers & Jackets", "Blazer", 4.0, 60.0, 0.1),
        category("Skirts", "Skirt", 2.0, 37.0, 0.2),
    ],
    &[
        category("Jeans", "Straight Jeans", 9.0, 78.0, 0.5),
        category("Underwear", "Boxer Briefs", 9.0, 25.0, 0.9),
        category("Tops & Tees", "Crew Tee", 9.0, 34.0, 0.7),
        category("Pants", "Chinos", 8.0, 50.0, 0.5),
        category("Sweaters", "Pullover", 8.0, 60.0, 0.3),
        category("Fashion Hoodies & Sweatshirts", "Hoodie", 7.0, 52.0, 0.4),
        category("Shorts", "Cargo Shorts", 7.0, 44.0, 0.4),
        category("Sleep & Lounge", "Lounge Pants", 7.0, 37.0, 0.4),
        category("Swim", "Swim Trunks", 7.0, 49.0, 0.2),
        category("Socks", "Crew Socks", 7.0, 15.0, 1.0),
        category("Outerwear & Coats", "Parka", 6.0, 110.0, 0.05),
        category("Accessories", "Belt", 6.0, 25.0, 0.4),
        category("Active", "Training Tee", 6.0, 35.0, 0.6),
        category("Suits & Sport Coats", "Sport Coat", 5.0, 100.0, 0.05),
    ],
];

/// Invented brands and their price levels (1 is the middle), the best known first.
pub(super) const BRANDS: [(&str, f64); 48] = [
    ("Alderway", 0.9),
    ("Brightmoor", 1.1),
    ("Castle & Finch", 1.4),
    ("Dovetail Row", 0.8),
    ("Evenbrook", 1.0),
    ("Fjordline", 1.6),
    ("Gable Street", 0.7),
    ("Harrow & Hythe", 1.8),
    ("Inkwell", 0.9),
    ("Juniper Lane", 1.1),
    ("Kestrel Co", 1.3),
    ("Larkmead", 0.8),
    ("Maple & Main", 1.0),
    ("Northpier", 1.5),
    ("Oakhurst", 1.1),
    ("Pebblecourt", 0.7),
    ("Quillon", 2.0),
    ("Redfern Bay", 0.9),
    ("Saltmarsh", 1.2),
    ("Thistledown", 1.0),
    ("Umberfield", 1.3),
    ("Vantage Nine", 0.6),
    ("Willowgate", 1.0),
    ("Xantha", 2.2),
    ("Yarrow", 0.9),
    ("Zephyr Mills", 1.2),
    ("Anchor Twelve", 0.8),
    ("Bramble", 0.6),
    ("Cobalt House", 1.7),
    ("Dunewood", 1.0),
    ("Elm Quarter", 1.1),
    ("Foxglove", 0.9),
    ("Granite Peak", 1.5),
    ("Hollin", 0.7),
    ("Isle & Oar", 1.2),
    ("Jessamy", 1.0),
    ("Kitebrook", 0.8),
    ("Lantern Hill", 1.3),
    ("Mossbank", 0.9),
    ("Nettlefold", 1.1),
    ("Orrin", 1.9),
    ("Penny Lodge", 0.6),
    ("Ravensgill", 1.4),
    ("Silverbeck", 1.0),
    ("Tamarack", 1.2),
    ("Underhill", 0.8),
    ("Velvet Hour", 1.6),
    ("Wrenfield", 0.9),
];

pub(super) const ADJECTIVES: [&str; 24] = [
    "Classic",
    "Relaxed",
    "Slim",
    "Soft",
    "Striped",
    "Ribbed",
    "Everyday",
    "Vintage",
    "Quilted",
    "Light",
    "Heavyweight",
    "Cropped",
    "Printed",
    "Solid",
    "Stretch",
    "Organic Cotton",
    "Linen",
    "Merino",
    "Seamless",
    "High-Rise",
    "Washed",
    "Textured",
    "Two-Tone",
    "Essential",
];

/// First names, of women and of men.
pub(super) const FIRST_NAMES: [[&str; 32]; 2] = [
    [
        "Alice", "Amelia", "Ana", "Beatrice", "Chloe", "Clara", "Diana", "Elena", "Emma", "Eva", "Fiona", "Grace",
        "Hana", "Helen", "Ines", "Irene", "Jade", "Julia", "Karin", "Laura", "Lena", "Lucy", "Maria", "Mei", "Nina",
        "Olivia", "Paula", "Rosa", "Sofia", "Tessa", "Wei", "Zoe",
    ],
    [
        "Adam", "Alan", "Ben", "Bruno", "Carl", "Chen", "Daniel", "David", "Eric", "Felix", "Frank", "George", "Henry",
        "Hugo", "Ivan", "Jack", "James", "Jun", "Karl", "Leo", "Luis", "Marco", "Max", "Noah", "Oscar", "Paul",
        "Peter", "Robert", "Samuel", "Thomas", "Victor", "William",
    ],
];

pub(super) const LAST_NAMES: [&str; 48] = [
    "Adams", "Baker", "Barnes", "Bauer", "Bennett", "Brown", "Carter", "Chang", "Clark", "Cole", "Costa", "Davies",
    "Diaz", "Dubois", "Evans", "Ferreira", "Fischer", "Foster", "Garcia", "Gray", "Green", "Hall", "Harris", "Hill",
    "Hughes", "Ito", "Jones", "Kim", "King", "Kowalski", "Lee", "Lewis", "Lopez", "Martin", "Moore", "Park", "Reed",
    "Roberts", "Rossi", "Silva", "Smith", "Tanaka", "Taylor", "Turner", "Wang", "White", "Wilson", "Young",
];

pub(super) const STREETS: [&str; 32] = [
    "Acorn", "Aspen", "Bay", "Beech", "Birch", "Bridge", "Canal", "Castle", "Cedar", "Cherry", "Church", "Clover",
    "Elm", "Field", "Forge", "Garden", "Grove", "Harbour", "Hazel", "Hill", "Lake", "Linden", "Maple", "Meadow",
    "Mill", "Oak", "Orchard", "Park", "River", "School", "Station", "Willow",
];

pub(super) const STREET_KINDS: [&str; 8] = ["Street", "Road", "Lane", "Avenue", "Close", "Drive", "Way", "Court"];

/// Where users come from, with TheLook's shares in per cent.
pub(super) const TRAFFIC_SOURCES: [(&str, f64); 5] =
    [("Search", 70.0), ("Organic", 15.0), ("Facebook", 6.0), ("Email", 5.0), ("Display", 4.0)];

/// A country where users live.
pub(super) struct Country {
    pub(super) name: &'static str,
    /// Its share of the users, in per cent.
    pub(super) share: f64,
    /// What a postal code looks like: `#` is a digit and `@` a letter.
    pub(super) postal_code: &'static str,
    /// State, city, latitude and longitude.
    pub(super) cities: &'static [(&'static str, &'static str, f64, f64)],
}

/// Roughly TheLook's shares, but with more of the United Kingdom (there 5 %), so that even a small shop has a few
/// hundred buyers there.
pub(super) const COUNTRIES: [Country; 12] = [
    Country {
        name: "China",
        share: 27.0,
        postal_code: "######",
        cities: &[
            ("Shanghai", "Shanghai", 31.23, 121.47),
            ("Beijing", "Beijing", 39.90, 116.40),
            ("Guangdong", "Shenzhen", 22.54, 114.06),
            ("Guangdong", "Guangzhou", 23.13, 113.26),
            ("Jiangsu", "Nanjing", 32.06, 118.80),
            ("Sichuan", "Chengdu", 30.57, 104.07),
        ],
    },
    Country {
        name: "United States",
        share: 18.0,
        postal_code: "#####",
        cities: &[
            ("New York", "New York", 40.71, -74.01),
            ("California", "Los Angeles", 34.05, -118.24),
            ("Illinois", "Chicago", 41.88, -87.63),
            ("Texas", "Houston", 29.76, -95.37),
            ("Florida", "Miami", 25.76, -80.19),
            ("Washington", "Seattle", 47.61, -122.33),
        ],
    },
    Country {
        name: "United Kingdom",
        share: 22.0,
        postal_code: "@@# #@@",
        cities: &[
            ("England", "London", 51.51, -0.13),
            ("England", "Manchester", 53.48, -2.24),
            ("England", "Bristol", 51.45, -2.59),
            ("Scotland", "Edinburgh", 55.95, -3.19),
            ("Wales", "Cardiff", 51.48, -3.18),
        ],
    },
    Country {
        name: "Brasil",
        share: 11.0,
        postal_code: "#####-###",
        cities: &[
            ("São Paulo", "São Paulo", -23.55, -46.63),
            ("Rio de Janeiro", "Rio de Janeiro", -22.91, -43.17),
            ("Bahia", "Salvador", -12.97, -38.50),
            ("Minas Gerais", "Belo Horizonte", -19.92, -43.94),
        ],
    },
    Country {
        name: "South Korea",
        share: 4.5,
        postal_code: "#####",
        cities: &[("Seoul", "Seoul", 37.57, 126.98), ("Busan", "Busan", 35.18, 129.08)],
    },
    Country {
        name: "France",
        share: 4.0,
        postal_code: "#####",
        cities: &[
            ("Île-de-France", "Paris", 48.86, 2.35),
            ("Auvergne-Rhône-Alpes", "Lyon", 45.76, 4.84),
            ("Nouvelle-Aquitaine", "Bordeaux", 44.84, -0.58),
        ],
    },
    Country {
        name: "Spain",
        share: 3.5,
        postal_code: "#####",
        cities: &[("Comunidad de Madrid", "Madrid", 40.42, -3.70), ("Cataluña", "Barcelona", 41.39, 2.17)],
    },
    Country {
        name: "Germany",
        share: 3.5,
        postal_code: "#####",
        cities: &[
            ("Berlin", "Berlin", 52.52, 13.40),
            ("Bayern", "München", 48.14, 11.58),
            ("Hamburg", "Hamburg", 53.55, 9.99),
        ],
    },
    Country {
        name: "Japan",
        share: 2.5,
        postal_code: "###-####",
        cities: &[("Tokyo", "Tokyo", 35.68, 139.69), ("Osaka", "Osaka", 34.69, 135.50)],
    },
    Country {
        name: "Australia",
        share: 2.0,
        postal_code: "####",
        cities: &[("New South Wales", "Sydney", -33.87, 151.21), ("Victoria", "Melbourne", -37.81, 144.96)],
    },
    Country {
        name: "Belgium",
        share: 1.5,
        postal_code: "####",
        cities: &[("Brussels", "Brussels", 50.85, 4.35), ("Flanders", "Ghent", 51.05, 3.72)],
    },
    Country {
        name: "Poland",
        share: 0.5,
        postal_code: "##-###",
        cities: &[("Masovia", "Warsaw", 52.23, 21.01), ("Lesser Poland", "Kraków", 50.06, 19.94)],
    },
];
