//! The built-in texts of the provider `template`, in three tones.
//!
//! Each part is written so that it goes with every other of its tone. `first` is the product at the top of the list,
//! `rest` what follows. Whether a product's name is singular or plural cannot be told (`Olive Oil`, `Cherry Tomatoes`),
//! so no verb and no `it` depends on one. Nothing is said that the
//! data does not: that somebody bought before is a reason's to say.

/// The parts that a message is put together from: one of each.
pub(crate) struct Parts {
    pub(crate) subjects: &'static [&'static str],
    pub(crate) greetings: &'static [&'static str],
    pub(crate) openings: &'static [&'static str],
    pub(crate) bodies: &'static [&'static str],
    pub(crate) closings: &'static [&'static str],
    pub(crate) signatures: &'static [&'static str],
}

pub(crate) const FRIENDLY: Parts = Parts {
    subjects: &[
        "Picked for you: {{ first.name }}",
        "{{ first.name }}{% if count > 1 %} and {{ (count - 1)|number }} more {{ plural(count - 1, 'idea', \
         'ideas') }}{% endif %} for you",
        "{{ count|number|capital }} {{ plural(count, 'thing', 'things') }} we think you will like",
        "{{ plural(count, 'A suggestion', 'Some suggestions') }} for your next order",
        "Have you thought of {{ first.name }}?",
    ],
    greetings: &[
        "{% if merge.first_name %}Hi {{ merge.first_name }},{% else %}Hi there,{% endif %}",
        "{% if merge.first_name %}Hello {{ merge.first_name }},{% else %}Hello,{% endif %}",
    ],
    openings: &[
        "We went through our shelves and found {{ plural(count, 'something', 'a few things') }} that should suit you.",
        "Thank you for shopping with us. We have {{ plural(count, 'an idea', 'some ideas') }} for your next order.",
        "We {{ plural(count, 'picked something', 'put together a short list') }} with you in mind.",
        "It is good to have you with us. Here {{ plural(count, 'is something', 'are a few things') }} we think \
         you will enjoy.",
        "Not sure what to put in your basket next? We have {{ plural(count, 'a suggestion', 'a few suggestions') }}.",
    ],
    bodies: &[
        // Prose, the first product ahead of the others.
        "{{ plural(count, 'Our suggestion', 'At the top of our list') }}: {{ first.label }}{% if \
         first.price_text %}, at {{ first.price_text }}{% endif %}.\
         {% if first.why %} {{ first.why|sentence }}{% endif %}\
         {% if count > 1 %} You may also like {{ rest|map(attribute='label')|join_and }}.{% endif %}",
        // A list with reasons.
        "{{ plural(count, 'This is what we would pick', 'These are our picks') }} for you:\n\
         {% for product in products %}\n- {{ product.label }}{% if product.price_text %}, {{ product.price_text \
         }}{% endif %}\
         {% if product.why %} – {{ product.why }}{% endif %}{% endfor %}",
        // The question.
        "How about {{ first.label }}{% if first.price_text %}, for {{ first.price_text }}{% endif %}?\
         {% if first.why %} {{ first.why|sentence }}{% endif %}\
         {% if count > 1 %} {{ rest|map(attribute='label')|join_and|capital }} might be something for you, \
         too.{% endif %}",
        // All in one sentence, then the reason for the first.
        "We think there is a place in your basket for {{ products|map(attribute='label')|join_and }}.\
         {% if first.why %} Why {{ first.name }}? {{ first.why|sentence }}{% endif %}",
    ],
    closings: &[
        "Take a look whenever it suits you.",
        "Not quite right? Tell us, and we will do better next time.",
        "You will find this and much more in our shop.",
        "We hope there is something in it for you.",
        "Enjoy your shopping!",
    ],
    signatures: &["Warm wishes,\n{{ sender }}", "All the best,\n{{ sender }}", "See you soon,\n{{ sender }}"],
};

pub(crate) const FORMAL: Parts = Parts {
    subjects: &[
        "Our {{ plural(count, 'recommendation', 'recommendations') }} for you",
        "{{ plural(count, 'A recommendation', 'A selection') }} for you: {{ first.name }}{% if count > 1 %} and \
         {{ (count - 1)|number }} more{% endif %}",
        "{{ count|number|capital }} {{ plural(count, 'product', 'products') }} selected for you",
        "Your personal {{ plural(count, 'recommendation', 'recommendations') }}",
    ],
    greetings: &["{% if merge.first_name %}Dear {{ merge.first_name }},{% else %}Dear customer,{% endif %}"],
    openings: &[
        "Thank you for your continued custom. We have selected {{ plural(count, 'a product', 'several \
         products') }} that may be of interest to you.",
        "We are pleased to present {{ plural(count, 'a recommendation', 'a selection') }} that we have made for you.",
        "We would like to draw your attention to the following {{ plural(count, 'product', 'products') }}.",
        "We value your custom and have prepared {{ plural(count, 'a recommendation', 'some recommendations') }} \
         for you.",
    ],
    bodies: &[
        "We would recommend {{ first.label }}{% if first.price_text %}, available at {{ first.price_text }}{% endif %}.\
         {% if first.why %} {{ first.why|sentence }}{% endif %}\
         {% if count > 1 %} In addition, {{ rest|map(attribute='label')|join_and }} may meet your \
         requirements.{% endif %}",
        "Our {{ plural(count, 'recommendation', 'recommendations') }}:\n\
         {% for product in products %}\n- {{ product.label }}{% if product.price_text %}, {{ product.price_text \
         }}{% endif %}\
         {% if product.why %} ({{ product.why }}){% endif %}{% endfor %}",
        "Our {{ plural(count, 'recommendation for you is', 'selection for you comprises') }} {{ \
         products|map(attribute='label')|join_and }}.\
         {% if first.why %} Regarding {{ first.name }}: {{ first.why }}.{% endif %}",
    ],
    closings: &[
        "Should you have any questions, we shall be glad to assist you.",
        "We would be pleased to welcome you in our shop again.",
        "We look forward to your next order.",
        "Thank you for placing your trust in us.",
    ],
    signatures: &["Yours sincerely,\n{{ sender }}", "Kind regards,\n{{ sender }}"],
};

pub(crate) const CONCISE: Parts = Parts {
    subjects: &[
        "For you: {{ first.name }}",
        "{{ count|number|capital }} {{ plural(count, 'suggestion', 'suggestions') }} for you",
        "{{ first.name }}{% if count > 1 %} and more{% endif %}",
    ],
    greetings: &["{% if merge.first_name %}Hi {{ merge.first_name }},{% else %}Hi,{% endif %}"],
    openings: &[
        "{{ plural(count, 'one suggestion', count|number ~ ' suggestions')|capital }} for your next order:",
        "Chosen for you:",
        "You might like:",
    ],
    bodies: &[
        "{{ products|map(attribute='label')|join_and|sentence }}\
         {% if first.why %} {% if count > 1 %}{{ first.name }}: {{ first.why }}.{% else %}{{ first.why|sentence \
         }}{% endif %}{% endif %}",
        "{% for product in products %}- {{ product.label }}{% if product.price_text %}, {{ product.price_text \
         }}{% endif %}\
         {% if product.why %}: {{ product.why }}{% endif %}{% if not loop.last %}\n{% endif %}{% endfor %}",
    ],
    closings: &["More in our shop.", "Have a look when you have a minute.", "Happy to help with questions."],
    signatures: &["{{ sender }}"],
};
