//! What the made-up grocery sells.

/// A department and what it holds.
pub(super) struct Department {
    pub(super) name: &'static str,
    pub(super) categories: &'static [Category],
}

/// Things of a kind.
pub(super) struct Category {
    pub(super) name: &'static str,
    pub(super) types: &'static [&'static str],
    /// How much of it is bought, to be compared with others.
    pub(super) share: f64,
    /// How much a buyer tends to buy the same product again, to be compared with others.
    pub(super) again: f64,
    /// For how many days a package lasts.
    pub(super) days: f64,
    /// What a package costs in US dollars.
    pub(super) price: f64,
}

const fn category(
    name: &'static str,
    types: &'static [&'static str],
    share: f64,
    again: f64,
    days: f64,
    price: f64,
) -> Category {
    Category { name, types, share, again, days, price }
}

const fn department(name: &'static str, categories: &'static [Category]) -> Department {
    Department { name, categories }
}

pub(super) const DEPARTMENTS: [Department; 16] = [
    department(
        "PRODUCE",
        &[
            category("FRESH FRUIT", &["bananas", "apples", "oranges", "grapes", "pears", "lemons"], 7.0, 3.0, 6.0, 2.5),
            category("BERRIES", &["strawberries", "blueberries", "raspberries"], 2.0, 1.4, 7.0, 3.8),
            category(
                "VEGETABLES",
                &["carrots", "onions", "tomatoes", "peppers", "cucumbers", "broccoli"],
                6.0,
                2.0,
                8.0,
                2.0,
            ),
            category("SALAD", &["spinach", "romaine", "spring mix"], 2.5, 2.4, 6.0, 3.2),
            category("HERBS", &["basil", "parsley", "coriander"], 0.8, 0.7, 12.0, 1.9),
        ],
    ),
    department(
        "DAIRY",
        &[
            category("MILK", &["whole milk", "skimmed milk", "oat drink", "soy drink"], 5.0, 4.5, 5.0, 2.9),
            category("YOGURT", &["plain yogurt", "fruit yogurt", "skyr"], 3.5, 2.2, 7.0, 1.4),
            category("CHEESE", &["cheddar", "mozzarella", "cream cheese", "feta"], 3.5, 1.6, 12.0, 3.9),
            category("EGGS", &["large eggs", "free-range eggs"], 2.5, 4.0, 9.0, 3.1),
            category("BUTTER", &["butter", "margarine"], 1.5, 2.5, 16.0, 3.6),
        ],
    ),
    department(
        "BAKERY",
        &[
            category("BREAD", &["white bread", "rye bread", "toast", "bagels"], 4.0, 3.2, 5.0, 2.7),
            category("CAKES", &["muffins", "doughnuts", "cheesecake"], 1.2, 0.6, 14.0, 4.2),
            category("TORTILLAS", &["wheat tortillas", "corn tortillas"], 1.0, 1.3, 15.0, 2.8),
        ],
    ),
    department(
        "MEAT",
        &[
            category("CHICKEN", &["chicken breast", "chicken thighs", "whole chicken"], 2.2, 1.8, 9.0, 6.5),
            category("BEEF", &["ground beef", "steak", "stewing beef"], 1.8, 1.3, 11.0, 7.9),
            category("FISH", &["salmon", "cod", "shrimp"], 1.0, 0.9, 14.0, 8.8),
            category("SAUSAGES", &["bratwurst", "bacon", "hot dogs"], 1.2, 1.2, 14.0, 4.4),
        ],
    ),
    department(
        "DELI",
        &[
            category("COLD CUTS", &["ham", "turkey breast", "salami"], 2.0, 2.0, 8.0, 4.5),
            category("DIPS", &["hummus", "guacamole", "salsa"], 1.3, 1.5, 10.0, 3.7),
            category("PREPARED MEALS", &["lasagne", "sushi", "potato salad"], 1.0, 0.6, 12.0, 6.9),
        ],
    ),
    department(
        "FROZEN",
        &[
            category("FROZEN VEGETABLES", &["peas", "spinach", "mixed vegetables"], 1.6, 1.2, 18.0, 2.2),
            category("FROZEN PIZZA", &["margherita", "pepperoni", "vegetable pizza"], 1.6, 1.1, 13.0, 4.9),
            category("ICE CREAM", &["vanilla ice cream", "chocolate ice cream", "sorbet"], 1.5, 0.8, 17.0, 4.6),
            category("FROZEN MEALS", &["curry", "burritos", "dumplings"], 1.4, 0.8, 12.0, 3.9),
        ],
    ),
    department(
        "PANTRY",
        &[
            category("SPICES", &["black pepper", "paprika", "cinnamon", "oregano"], 1.0, 0.1, 120.0, 3.0),
            category("OIL AND VINEGAR", &["olive oil", "sunflower oil", "balsamic vinegar"], 1.0, 0.5, 60.0, 6.4),
            category("BAKING", &["flour", "sugar", "baking powder", "chocolate chips"], 1.5, 0.4, 45.0, 2.4),
            category("SAUCES", &["ketchup", "mustard", "mayonnaise", "soy sauce"], 1.6, 0.4, 50.0, 2.9),
            category("SPREADS", &["peanut butter", "jam", "honey"], 1.4, 0.8, 35.0, 3.8),
        ],
    ),
    department(
        "DRY GOODS",
        &[
            category("PASTA", &["spaghetti", "penne", "egg noodles"], 1.8, 1.0, 20.0, 1.6),
            category("RICE", &["basmati rice", "brown rice", "risotto rice"], 0.9, 0.8, 40.0, 3.4),
            category("BEANS", &["lentils", "chickpeas", "black beans"], 0.9, 0.6, 30.0, 1.8),
        ],
    ),
    department(
        "CANNED",
        &[
            category("CANNED VEGETABLES", &["corn", "green beans", "diced tomatoes"], 1.7, 0.8, 22.0, 1.2),
            category("SOUP", &["tomato soup", "chicken soup", "mushroom soup"], 1.5, 0.7, 18.0, 1.9),
            category("CANNED FISH", &["tuna", "sardines"], 0.8, 1.2, 21.0, 1.7),
        ],
    ),
    department(
        "SNACKS",
        &[
            category("CHIPS", &["potato chips", "tortilla chips", "pretzels"], 2.6, 1.2, 9.0, 3.1),
            category("COOKIES", &["chocolate cookies", "oat cookies", "wafers"], 1.9, 0.7, 12.0, 3.2),
            category("CHOCOLATE", &["milk chocolate", "dark chocolate", "pralines"], 1.8, 0.8, 11.0, 2.2),
            category("NUTS", &["almonds", "cashews", "trail mix"], 1.2, 1.1, 17.0, 5.6),
        ],
    ),
    department(
        "BREAKFAST",
        &[
            category("CEREAL", &["corn flakes", "granola", "bran flakes"], 2.0, 1.1, 12.0, 3.9),
            category("OATMEAL", &["rolled oats", "porridge"], 0.8, 1.6, 22.0, 3.3),
            category("SYRUP", &["maple syrup", "pancake syrup"], 0.4, 0.2, 80.0, 5.2),
        ],
    ),
    department(
        "BEVERAGES",
        &[
            category("SOFT DRINKS", &["cola", "lemonade", "ginger ale"], 3.2, 2.6, 7.0, 4.4),
            category("WATER", &["still water", "sparkling water"], 2.2, 3.4, 6.0, 3.0),
            category("JUICE", &["orange juice", "apple juice", "grape juice"], 2.0, 1.8, 8.0, 3.3),
            category("COFFEE", &["ground coffee", "coffee beans", "instant coffee"], 1.6, 2.4, 21.0, 8.2),
            category("TEA", &["black tea", "green tea", "herbal tea"], 0.8, 0.7, 40.0, 3.5),
        ],
    ),
    department(
        "HOUSEHOLD",
        &[
            category("PAPER", &["toilet paper", "paper towels", "tissues"], 1.8, 1.5, 20.0, 7.0),
            category("LAUNDRY", &["detergent", "fabric softener", "stain remover"], 1.0, 0.8, 45.0, 9.1),
            category("CLEANING", &["dish soap", "all-purpose cleaner", "sponges"], 1.3, 0.4, 40.0, 3.4),
            category("BAGS AND FOIL", &["bin bags", "aluminium foil", "freezer bags"], 0.8, 0.4, 50.0, 4.5),
        ],
    ),
    department(
        "PERSONAL CARE",
        &[
            category("HAIR CARE", &["shampoo", "conditioner", "hair gel"], 0.8, 0.4, 50.0, 5.5),
            category("ORAL CARE", &["toothpaste", "mouthwash", "toothbrush"], 0.8, 0.4, 45.0, 3.7),
            category("SOAP", &["hand soap", "shower gel"], 0.8, 0.4, 35.0, 3.5),
        ],
    ),
    department(
        "BABY",
        &[
            category("NAPPIES", &["nappies", "wipes"], 0.7, 3.6, 8.0, 11.0),
            category("BABY FOOD", &["fruit puree", "vegetable puree", "infant cereal"], 0.7, 1.8, 5.0, 1.5),
        ],
    ),
    department(
        "PETS",
        &[
            category("CAT FOOD", &["wet cat food", "dry cat food", "cat treats"], 0.9, 3.2, 7.0, 4.8),
            category("DOG FOOD", &["wet dog food", "dry dog food", "dog treats"], 0.9, 2.8, 9.0, 6.9),
        ],
    ),
];

/// Kinds of household: the categories of which they buy much more.
pub(super) const STYLES: [&[&str]; 8] = [
    &["NAPPIES", "BABY FOOD", "MILK", "FRESH FRUIT"],
    &["CAT FOOD", "CANNED FISH", "TEA"],
    &["DOG FOOD", "BEEF", "CHIPS"],
    &["SALAD", "HERBS", "BEANS", "BERRIES", "NUTS"],
    &["FROZEN PIZZA", "FROZEN MEALS", "SOFT DRINKS", "CHIPS"],
    &["BAKING", "EGGS", "BUTTER", "SPICES", "CHOCOLATE"],
    &["COFFEE", "BREAD", "COLD CUTS", "CHEESE", "SAUSAGES"],
    &["OATMEAL", "YOGURT", "CHICKEN", "FISH", "VEGETABLES", "RICE"],
];

/// Makers, the grocery's own brand first.
pub(super) const MAKERS: [&str; 14] = [
    "Corner Shop",
    "Alder & Sons",
    "Bright Acre",
    "Copper Kettle",
    "Daybreak",
    "Elm Street",
    "Fairwind",
    "Golden Gate",
    "Harbour",
    "Ivy Lane",
    "Juniper",
    "Kestrel",
    "Lowland",
    "Meadowlark",
];

/// Package sizes.
pub(super) const SIZES: [&str; 6] = ["6 OZ", "8 OZ", "12 OZ", "16 OZ", "24 OZ", "2 LB"];
